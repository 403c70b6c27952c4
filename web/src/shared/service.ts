// Requests to the service. A check never makes one.

/** InputProblem says of one value what is wrong with it. */
export interface InputProblem {
  pointer: string;
  code: string;
  rule?: string;
}

/** Refused is an answer other than a success, with its status, its stable code, and
 * what is wrong with single values. */
export class Refused extends Error {
  status: number;
  code: string;
  problems: InputProblem[];
  constructor(status: number, code: string, problems: InputProblem[] = []) {
    super(code);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

/** Unreachable says that there was no answer at all. */
export class Unreachable extends Error {}

interface Ask {
  method?: string;
  body?: unknown;
  token?: string | undefined;
  /** cookie sends the cookie of whoever is signed in. */
  cookie?: boolean;
}

export async function ask(path: string, { method = "GET", body, token, cookie = false }: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token) headers["authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method === "POST") headers["idempotency-key"] = crypto.randomUUID();
  let answer: Response;
  try {
    answer = await fetch(path, {
      method, headers, credentials: cookie ? "same-origin" : "omit", referrerPolicy: "no-referrer", cache: "no-cache", redirect: "error",
      signal: AbortSignal.timeout(60_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Unreachable("no answer");
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { code?: string; problems?: InputProblem[] };
  throw new Refused(answer.status, problem.code ?? "", problem.problems);
}
