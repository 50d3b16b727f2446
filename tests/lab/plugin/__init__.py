"""What the lab adds to moto: authentication, IAM evaluation, and the services moto lacks."""
