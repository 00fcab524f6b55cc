// ReplAgent
