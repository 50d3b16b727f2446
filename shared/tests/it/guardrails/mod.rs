//! Who is never touched, and how far to go.

mod messages;
mod properties;
mod shipped;
