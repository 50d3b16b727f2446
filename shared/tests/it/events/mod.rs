//! Bytes in, findings out.

mod applications;
mod chains;
mod cloudtrail;
mod copies;
mod corpus;
mod dates;
mod every_field;
mod exposure;
mod federated;
mod hostile;
mod malformed;
mod merged;
mod mutated;
mod samples;
