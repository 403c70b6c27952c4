// Remote procedure calls into a worker: one message there, one message back.

type Methods = Record<string, (...args: never[]) => unknown>;

interface Request {
  id: number;
  method: string;
  args: unknown[];
}

interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

/** serve answers calls inside a worker. */
export function serve(methods: Methods): void {
  addEventListener("message", async ({ data }: MessageEvent<Request>) => {
    const answer: Answer = { id: data.id };
    try {
      const method = methods[data.method] as ((...args: unknown[]) => unknown) | undefined;
      if (!method) throw new Error("no such method");
      answer.result = await method(...data.args);
    } catch (e) {
      answer.error = e instanceof Error ? e.message : "error";
    }
    (postMessage as (message: unknown) => void)(answer);
  });
}

/** Terminated is the error of calls that were open when their worker was stopped. */
export class Terminated extends Error {}

/** Client calls into one worker. */
export class Client {
  private worker: Worker;
  private last = 0;
  private waiting = new Map<number, { resolve: (v: never) => void; reject: (e: Error) => void }>();

  constructor(worker: Worker) {
    this.worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      const call = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error !== undefined) call?.reject(new Error(data.error));
      else call?.resolve(data.result as never);
    });
    worker.addEventListener("error", () => this.fail(new Error("worker")));
  }

  call<T>(method: string, args: unknown[] = [], transfer: Transferable[] = []): Promise<T> {
    const id = ++this.last;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, method, args } satisfies Request, transfer);
    });
  }

  /** terminate stops the worker, with all that it holds. */
  terminate(): void {
    this.worker.terminate();
    this.fail(new Terminated("ended"));
  }

  private fail(why: Error): void {
    for (const call of this.waiting.values()) call.reject(why);
    this.waiting.clear();
  }
}
