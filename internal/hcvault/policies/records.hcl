# PREFIX-records: whoever keeps records may wrap and unwrap their keys, and the
# epochs', and compute the index. It signs nothing and makes no key: "update"
# without "create" keeps Vault from making a key that is not there.

path "MOUNT/encrypt/PREFIX-wrap-*" {
  capabilities = ["update"]
}

path "MOUNT/decrypt/PREFIX-wrap-*" {
  capabilities = ["update"]
}

path "MOUNT/encrypt/PREFIX-epochs" {
  capabilities = ["update"]
}

path "MOUNT/decrypt/PREFIX-epochs" {
  capabilities = ["update"]
}

# Add a rate-limit quota to this path: whoever has a list of document numbers
# could try them here.
path "MOUNT/hmac/PREFIX-index" {
  capabilities = ["update"]
}
