# PREFIX-root: signs which key signs trust lists, which name all others. For the
# ceremony; best given to a role that is switched on for it only.

path "MOUNT/sign/PREFIX-root" {
  capabilities = ["update"]
}
