// Requests to the service. A check never makes one.

/** Refused is an answer other than a success, with its status and stable code. */
export class Refused extends Error {
  status: number;
  code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

/** Unreachable says that there was no answer at all. */
export class Unreachable extends Error {}

interface Ask {
  method?: string;
  body?: unknown;
  token?: string | undefined;
}

export async function ask(path: string, { method = "GET", body, token }: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token) headers["authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method === "POST") headers["idempotency-key"] = crypto.randomUUID();
  let answer: Response;
  try {
    answer = await fetch(path, {
      method, headers, credentials: "omit", referrerPolicy: "no-referrer", cache: "no-cache", redirect: "error",
      signal: AbortSignal.timeout(60_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Unreachable("no answer");
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { code?: string };
  throw new Refused(answer.status, problem.code ?? "");
}
