//! The case: what it is called, the bytes that are hashed, and the chain they make.

mod chain;
mod entries;
mod evidence;
