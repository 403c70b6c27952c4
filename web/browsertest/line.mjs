// A line between browser and service that lets through so many bits a second,
// counts them, can break, and writes down what the service is asked. The
// browser's own throttling does not reach what a service worker fetches, and its
// own log is not what a service sees.
import { Agent, createServer, request as ask } from "node:http";

export async function slowLine(service, kbit) {
  const line = { kbit, broken: false, bytes: 0, log: [] };
  let free = Date.now();
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, response) => {
    if (line.broken) return request.socket.destroy();
    line.log.push(request.url);
    request.pipe(ask(`${service}${request.url}`, { method: request.method, headers: request.headers, agent }, async (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      for await (const all of answer) {
        for (let i = 0; i < all.length; i += 4096) {
          const piece = all.subarray(i, i + 4096);
          free = Math.max(free, Date.now()) + (8 * piece.length) / line.kbit;
          await new Promise((done) => setTimeout(done, free - Date.now()));
          if (line.broken) return request.socket.destroy();
          line.bytes += piece.length;
          response.write(piece);
        }
      }
      response.end();
    }).on("error", () => request.socket.destroy()));
  });
  await new Promise((done) => server.listen(0, "localhost", done));
  line.address = `http://localhost:${server.address().port}`;
  line.close = () => { agent.destroy(); server.closeAllConnections(); server.close(); };
  return line;
}

