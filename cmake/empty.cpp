// A room with no sources yet still needs one translation unit.
