"""The models' room: flat, because exactly these files travel to a Hub repository as remote code."""
