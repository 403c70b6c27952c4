
# Every role looks at the public side of keys, and after its own token. The path
# is spelled as in the policy for keys: of two patterns that match, Vault uses
# the narrower one alone.

path "MOUNT/keys/+" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}

path "sys/capabilities-self" {
  capabilities = ["update"]
}
