//! Bytes in, findings out.

mod copies;
mod corpus;
mod dates;
mod hostile;
mod merged;
mod mutated;
mod samples;
