"""Everything that talks to the world; each module fulfils a port of reconcile/ports.py."""
