"""Images and masks: read, paired, checked, split and augmented."""
