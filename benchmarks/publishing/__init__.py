"""What `make bench-publish` is about: a warehouse with marts, changes to it, and ways to publish it."""
