"""The page in the browser: restore, look at spectra, compare. `app.launch` opens it."""
