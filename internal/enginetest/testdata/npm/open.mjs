// Opens an age file with npm's age-encryption, as a page in a browser would, and writes
// what is in it to standard output. SECRET is a key or a passphrase.

import { readFileSync } from "node:fs";
import { Decrypter } from "age-encryption";

const opener = new Decrypter();
const secret = process.env.SECRET;
if (secret.startsWith("AGE-SECRET-KEY-")) opener.addIdentity(secret); else opener.addPassphrase(secret);
process.stdout.write(await opener.decrypt(readFileSync(process.argv[2])));
