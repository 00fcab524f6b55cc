// ReplicationEngine
