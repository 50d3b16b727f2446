//! Isolates compromised EC2 instances and holds their evidence. The walk is `tourniquet::respond`.

use lambda_runtime::{Error, run, service_fn};
use tourniquet::respond::{Function, Instances};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tourniquet::config::log_as_json();
    let function = Function::<Instances>::from_env().await?;
    run(service_fn(|event| function.handle(event))).await
}
