"""Impact of metaorders: measured on paired seeds, fitted, compared with published laws."""
