"""Stock changes summed into documents that an ERP books."""
