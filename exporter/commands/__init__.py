"""The commands besides serving: check, once, health, acl, compare, docs."""
