"""Arrays of files that may come from elsewhere: `.safetensors`, `.npz`, and what `torch.save` writes.

Nothing in a file is unpickled, imported or evaluated, and sizes are looked at before memory is reserved.
"""
