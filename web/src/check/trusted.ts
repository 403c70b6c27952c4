// The one place that turns a text into the address of a program (Trusted Types).
// It admits our own files alone. The page's policy asks for it:
// require-trusted-types-for.

interface Policy {
  createScriptURL(path: string): string;
}

const ours = (path: string): string => {
  if (!/^\/check\/[a-z]+(-[0-9a-f]{16})?\.js$/.test(path)) throw new Error("not one of our programs");
  return path;
};

const types = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }).trustedTypes;
const policy: Policy = types?.createPolicy("card-check", { createScriptURL: ours }) ?? { createScriptURL: ours };

export const scriptURL = (path: string): string => policy.createScriptURL(path);
