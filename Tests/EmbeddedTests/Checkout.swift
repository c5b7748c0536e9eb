import Files

/// The folder with schema.sql, mosquitto.conf and all the rest.
let checkout = Folder.parent(of: Folder.parent(of: Folder.parent(of: #filePath)))
