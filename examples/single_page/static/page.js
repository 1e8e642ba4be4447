/** Call the server; where nobody is signed in, sign in and come back. */
async function call(method, body) {
  const response = await fetch("/api/tasks", {
    method,
    headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  if (response.status === 401) {
    location.assign("/pkce/login?return_to=/");
    return;
  }
  if (!response.ok) {
    document.querySelector("#who").textContent = `The server answered ${response.status}.`;
    return;
  }
  show(await response.json());
}

function show({ name, tasks }) {
  document.querySelector("#who").textContent = `You are ${name}.`;
  document.querySelector("#tasks").replaceChildren(
    ...tasks.map((task) => Object.assign(document.createElement("li"), { textContent: task })),
  );
}

document.querySelector("#add").addEventListener("submit", (event) => {
  event.preventDefault();
  call("POST", { task: new FormData(event.target).get("task") });
  event.target.reset();
});
call("GET");
