mod belongs;
mod blocks;
mod document;
mod manifest;
mod message;
mod retention;
