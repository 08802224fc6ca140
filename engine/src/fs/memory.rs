//! Stub.
/// stub
#[derive(Debug)] pub struct MemoryFs;
/// stub
#[derive(Debug)] pub struct CrashModel;
/// stub
#[derive(Debug)] pub struct Fault;
