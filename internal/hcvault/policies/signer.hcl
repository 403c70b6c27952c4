# PREFIX-signer: the process that signs for agencies, and the trust lists, lists,
# packs and checkpoints of the network. It reads no record and makes no key.

path "MOUNT/sign/PREFIX-sign-*" {
  capabilities = ["update"]
}

path "MOUNT/sign/PREFIX-trust" {
  capabilities = ["update"]
}

path "MOUNT/sign/PREFIX-status" {
  capabilities = ["update"]
}

path "MOUNT/sign/PREFIX-pack" {
  capabilities = ["update"]
}

path "MOUNT/sign/PREFIX-log" {
  capabilities = ["update"]
}
