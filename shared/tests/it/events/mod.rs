//! Bytes in, findings out.

mod applications;
mod chains;
mod cloudtrail;
mod copies;
mod corpus;
mod dates;
mod exposure;
mod federated;
mod hostile;
mod merged;
mod mutated;
mod samples;
