mod created;
mod judge;
