mod blocks;
mod document;
mod manifest;
mod retention;
