"""The EventPipeline API as Python sees it: types, names, labels, conditions and reasons."""
