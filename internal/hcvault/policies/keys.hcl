# PREFIX-keys: makes and rotates keys, and uses none of them. It speaks of every
# key in the mount, because a pattern that ends in * would reach import and
# others below: give the network a transit mount of its own.

path "MOUNT/keys/+" {
  capabilities      = ["create", "update"]
  denied_parameters = {
    "exportable"             = []
    "allow_plaintext_backup" = []
    "derived"                = []
    "convergent_encryption"  = []
    "auto_rotate_period"     = []
    "managed_key_name"       = []
    "managed_key_id"         = []
  }
}

path "MOUNT/keys/+/rotate" {
  capabilities = ["create", "update"]
}

path "MOUNT/keys/+/config" {
  capabilities       = ["create", "update"]
  allowed_parameters = {
    "min_encryption_version" = []
    "min_decryption_version" = []
  }
}
