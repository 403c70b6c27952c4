// The constants that build.mjs writes into the bundles.

interface Part {
  path: string;
  bytes: number; // as it travels
  sha256: string; // of what arrives
}

interface Catalogue {
  language: string;
  name: string;
  direction: "ltr" | "rtl";
  digits: string;
  messages: Record<string, { text: string; mark: "source" | "machine" | "reviewed"; pictogram?: string }>;
}

declare const PARTS: Part[];
declare const WORKERS: { scan: string; verifier: string; stretch: string };
declare const CATALOGUES: Record<string, string>;
declare const LANGUAGES: Omit<Catalogue, "messages">[];
declare const ENGLISH: Catalogue;
declare const PICTOGRAMS: Record<string, [string, Record<string, string>][]>;
declare const SAMPLE: string;
declare const VERSION: string;
declare const SHELL: string[];
declare const ZXING: Omit<Part, "bytes">[];
declare const VERIFIER: Omit<Part, "bytes">[];

// Go's own glue, from GOROOT.
declare module "wasm_exec";

// Argon2 alone. The package has types for its whole only.
declare module "hash-wasm/dist/argon2.umd.min.js" {
  export { argon2id } from "hash-wasm";
}
