//! Bytes in, findings out.

mod copies;
mod corpus;
mod dates;
mod every_field;
mod hostile;
mod malformed;
mod merged;
mod mutated;
mod samples;
