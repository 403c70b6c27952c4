// Verifies SD-JWT VCs with a library that nobody here wrote, and says what each of them
// shows. In: {lists: {uri: token}, listKey: jwk, presentations: [{credential, key: jwk,
// status}]}. Out: [{payload} | {refused}]. The status list is read where status says so: the
// library takes half a second to unpack one.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SDJwtInstance } from '@sd-jwt/core'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'

const { lists, listKey, presentations } = JSON.parse(readFileSync(0, 'utf8'))

const es256 = (jwk) => {
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  return (data, signature) => verify('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}

const out = []
for (const { credential, key, status } of presentations) {
  const reader = new (status ? SDJwtVcInstance : SDJwtInstance)({
    hasher: (data, alg) => createHash(alg.replace('-', '')).update(typeof data === 'string' ? data : Buffer.from(data)).digest(),
    hashAlg: 'sha-256',
    verifier: es256(key),
    statusVerifier: es256(listKey),
    statusListFetcher: async (uri) => {
      if (!(uri in lists)) throw new Error('no such list')
      return lists[uri]
    },
  })
  try {
    out.push({ payload: (await reader.verify(credential)).payload })
  } catch (err) {
    out.push({ refused: String(err.message) })
  }
}
process.stdout.write(JSON.stringify(out))
