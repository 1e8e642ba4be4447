"""A notebook with Flask-Login, to which signing in with PKCE was added in a dozen lines.

.. code-block:: console

    $ flask --app examples/notebook/app.py run --port 3000

Then open http://localhost:3000.  The dozen lines end with ``# PKCE``; besides, the login page got
a second button, and logging out goes on to ``/pkce/clear``.  The settings are those of the
environment: ``FLASK_PKCE_DOMAIN``, ``FLASK_PKCE_CLIENT_ID``, ``FLASK_SECRET_KEY`` and so on; with
no domain a local tenant comes along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, current_app, flash, redirect, render_template, request, url_for
from flask_login import LoginManager, UserMixin, login_required, login_user, logout_user
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

from examples.local_tenant import use_local_tenant
from flask_pkce import PKCEBlueprint, TokenResponse  # PKCE

HERE = Path(__file__).parent

login_manager = LoginManager()
login_manager.login_view = "login"  # pyright: ignore[reportAttributeAccessIssue]
pkce = PKCEBlueprint()  # PKCE


class User(UserMixin):  # type: ignore[misc]
    """A user of this application."""

    def __init__(self, id: str, name: str, password_hash: str = "") -> None:
        self.id = id
        self.name = name
        self.password_hash = password_hash

    @classmethod
    def find(cls, id: str) -> User | None:
        """The user with that identifier, which is an e-mail address where there is a password."""
        with database() as db:
            row = db.execute("SELECT * FROM users WHERE id = ?", [id]).fetchone()
        return cls(*row) if row else None

    @classmethod
    def enter(cls, id: str, name: str, password: str | None = None) -> User:
        """Enter a user, or the new name of one that is there."""
        user = cls(id, name, generate_password_hash(password) if password else "")
        with database() as db:
            db.execute(
                "INSERT INTO users VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                [user.id, user.name, user.password_hash],
            )
        return user


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """Open the database of the users for one transaction."""
    with closing(sqlite3.connect(Path(current_app.instance_path) / "users.db")) as db, db:
        yield db


def user_id(claims: Mapping[str, Any]) -> str:  # PKCE
    # Issuer and subject stay with one user for ever; an e-mail address may not.
    return f"{claims['iss']}#{claims['sub']}"  # PKCE


@login_manager.user_loader  # type: ignore[untyped-decorator]
def load_user(id: str) -> User | None:
    # A user of the tenant is logged in here for as long as that sign-in is good.
    if "#" in id and (pkce.user is None or user_id(pkce.user) != id):  # PKCE
        return None  # PKCE
    return User.find(id)


@pkce.after_token  # PKCE
def log_in(token_response: TokenResponse) -> None:  # PKCE
    claims = token_response.claims  # PKCE
    login_user(User.enter(user_id(claims), claims.get("name", "friend")))  # PKCE


def create_app() -> Flask:
    """Create the application, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    app.config.from_mapping(SESSION_COOKIE_SAMESITE="Lax")
    app.config.from_prefixed_env()
    use_local_tenant(app)
    Path(app.instance_path).mkdir(mode=0o700, parents=True, exist_ok=True)
    with app.app_context():
        with database() as db:
            db.execute("CREATE TABLE IF NOT EXISTS users (id PRIMARY KEY, name, password_hash)")
        User.enter("ada@example.com", "Ada Example", "ada-password")
    login_manager.init_app(app)
    app.config.update(PKCE_TOKEN_DELIVERY="session", PKCE_UNAUTHENTICATED_URL="/")  # PKCE
    pkce.init_app(app)  # PKCE

    @app.get("/")
    def front() -> str:
        return render_template("front.html")

    @app.route("/login", methods=["GET", "POST"])
    def login() -> str | Response:
        if request.method == "POST":
            user = User.find(request.form["email"])
            if user and check_password_hash(user.password_hash, request.form["password"]):
                login_user(user)
                return redirect(url_for("account"))
            flash("Wrong e-mail address or password.")
        return render_template("login.html")

    @app.get("/account")
    @login_required  # type: ignore[untyped-decorator]
    def account() -> str:
        return render_template("account.html")

    @app.post("/logout")
    def log_out() -> Response:
        logout_user()
        # 307 keeps the method: the browser posts to /pkce/clear, and is out of both sessions.
        return redirect(url_for("pkce.clear"), code=307)

    return app
