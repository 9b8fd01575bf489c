"""The catalog: tables in schema ``epoch`` of the versioned database, one class for each."""
