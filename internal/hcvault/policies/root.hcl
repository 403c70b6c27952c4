# PREFIX-root: signs trust lists, which name all other keys. For the ceremony;
# best given to a role that is switched on for it only.

path "MOUNT/sign/PREFIX-root" {
  capabilities = ["update"]
}
