//! Who is never touched, and how far to go.

mod isolation;
mod messages;
mod properties;
mod shipped;
