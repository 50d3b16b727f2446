//! Bytes in, findings out.

mod copies;
mod corpus;
mod hostile;
mod mutated;
mod samples;
