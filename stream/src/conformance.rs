//! What the seam promises, as one suite that every implementation passes.
