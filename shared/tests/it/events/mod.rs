//! Bytes in, findings out.

mod applications;
mod chains;
mod cloudtrail;
mod copies;
mod corpus;
mod dates;
mod ebs;
mod every_field;
mod exposure;
mod federated;
mod hostile;
mod instances;
mod malformed;
mod merged;
mod mutated;
mod samples;
