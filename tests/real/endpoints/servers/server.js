// Answers each request with the SHA-256 of its body, by Node's http. Arguments: the port.
const { createHash } = require("node:crypto");
const { createServer } = require("node:http");

createServer((request, response) => {
  const digest = createHash("sha256");
  request.on("data", (piece) => digest.update(piece));
  request.on("end", () => response.end(digest.digest("hex")));
}).listen(Number(process.argv[2]), "127.0.0.1");
