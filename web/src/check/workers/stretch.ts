// The worker that runs Argon2id, outside the page's own thread and away from the
// keys. It sees a code or a PIN, and a salt.

import { argon2id } from "hash-wasm/dist/argon2.umd.min.js";
import { serve } from "../../shared/rpc";

export interface Work {
  password: string;
  salt: Uint8Array;
  passes: number;
  kib: number;
  lanes: number;
  size: number;
}

serve({
  begin: () => true,
  stretch: (w: Work): Promise<Uint8Array> =>
    argon2id({
      password: w.password, salt: w.salt, iterations: w.passes, memorySize: w.kib,
      parallelism: w.lanes, hashLength: w.size, outputType: "binary",
    }),
});
