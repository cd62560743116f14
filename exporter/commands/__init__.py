"""The commands besides serving: check, once, acl, compare, docs."""
