"""WebShop: a shop to search and buy in, from the original catalogue or a generated one."""
