"""What every HTTP server of ours keeps to, the gateway's page and the cloud alike: deadlines, one length a
request, and strict headers."""
