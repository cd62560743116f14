/* A button that copies each text in a panel. */
"use strict";
for (const text of document.querySelectorAll(".panel > pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch { /* a browser may forbid it, for example over plain HTTP */
      getSelection().selectAllChildren(text);
      button.textContent = "Selected: copy with Ctrl-C";
    }
  });
  text.before(button);
}
