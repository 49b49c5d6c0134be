"""CairnDB through SQLAlchemy (psycopg) and pandas: create, insert, query, ORM, reflection, migration, data frames."""

import datetime
import decimal
import enum
import os
import uuid

import pandas
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

URL = f"postgresql+psycopg://cairn@/cairn?host={os.environ['CAIRN_HOST']}&port={os.environ['CAIRN_PORT']}"
engine = sa.create_engine(URL)


class Mood(enum.Enum):
    calm = "calm"
    merry = "merry"


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "sa_people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    mood: Mapped[Mood]
    born: Mapped[datetime.date | None]
    seen: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    data: Mapped[dict | None] = mapped_column(pg.JSONB)
    tags: Mapped[list | None] = mapped_column(pg.ARRAY(sa.Text))
    key: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    orders: Mapped[list["Order"]] = relationship(back_populates="person", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "sa_orders"
    __table_args__ = (
        sa.CheckConstraint("total >= 0", name="sa_total_positive"),
        sa.Index("sa_orders_large", "total", postgresql_where=sa.text("total > 100")),
        {"comment": "what people ordered"},
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("sa_people.id", ondelete="CASCADE"))
    total: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2), comment="in euros")
    person: Mapped[Person] = relationship(back_populates="orders")


def orm():
    with Session(engine) as session:
        people = [
            Person(name=f"person {n}", mood=Mood.merry if n % 2 else Mood.calm, data={"n": n}, tags=["a", f"t{n}"])
            for n in range(20)
        ]
        for n, person in enumerate(people):
            person.orders = [Order(total=decimal.Decimal(n * 10 + k)) for k in range(3)]
        session.add_all(people)
        session.commit()
        found = session.scalars(
            sa.select(Person).where(Person.data["n"].as_integer() >= 18).order_by(Person.id)
        ).all()
        assert [person.name for person in found] == ["person 18", "person 19"]
        assert session.scalar(sa.select(sa.func.count()).where(Person.tags.contains(["t3"]))) == 1
        totals = session.execute(
            sa.select(Person.mood, sa.func.sum(Order.total), sa.func.count(Order.id.distinct()))
            .join(Order.person)
            .group_by(Person.mood)
            .order_by(Person.mood)
        ).all()
        assert totals == [(Mood.calm, decimal.Decimal(2730), 30), (Mood.merry, decimal.Decimal(3030), 30)], totals
        session.delete(found[0])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 57


def core():
    people = Person.__table__
    with engine.begin() as connection:
        insert = pg.insert(people).values(name="person 1", mood=Mood.calm, key=uuid.uuid4())
        upsert = insert.on_conflict_do_update(index_elements=["name"], set_={"mood": insert.excluded.mood})
        identity = connection.execute(upsert.returning(people.c.id)).scalar_one()
        assert connection.scalar(sa.select(people.c.mood).where(people.c.id == identity)) == Mood.calm
        nested = connection.begin_nested()
        try:
            connection.execute(sa.insert(Order).values(person_id=identity, total=-1))
        except sa.exc.IntegrityError as error:
            assert error.orig.sqlstate == "23514"
            nested.rollback()
        recent = sa.select(Order, sa.func.row_number().over(partition_by=Order.person_id, order_by=Order.total.desc()).label("place"))
        recent = recent.subquery()
        best = connection.execute(sa.select(recent.c.total).where(recent.c.place == 1).order_by(recent.c.total.desc()).limit(2))
        assert [float(total) for (total,) in best] == [192.0, 172.0]
        rows = connection.execute(sa.text("SELECT name FROM sa_people WHERE name LIKE :what ESCAPE '!'"), {"what": "person _"}).all()
        assert len(rows) == 10


def reflection():
    inspector = sa.inspect(engine)
    assert {"sa_people", "sa_orders"} <= set(inspector.get_table_names())
    assert inspector.get_pk_constraint("sa_orders")["constrained_columns"] == ["id"]
    (key,) = inspector.get_foreign_keys("sa_orders")
    assert (key["referred_table"], key["options"]) == ("sa_people", {"ondelete": "CASCADE"})
    (check,) = inspector.get_check_constraints("sa_orders")
    assert check["name"] == "sa_total_positive"
    (unique,) = inspector.get_unique_constraints("sa_people")
    assert unique["column_names"] == ["name"]
    indexes = {index["name"]: index for index in inspector.get_indexes("sa_orders")}
    assert "sa_orders_large" in indexes
    assert inspector.get_table_comment("sa_orders") == {"text": "what people ordered"}
    columns = {column["name"]: column for column in inspector.get_columns("sa_people")}
    assert isinstance(columns["mood"]["type"], pg.ENUM) and columns["mood"]["type"].enums == ["calm", "merry"]
    assert isinstance(columns["data"]["type"], pg.JSONB)
    assert columns["seen"]["type"].timezone
    reflected = sa.MetaData()
    reflected.reflect(engine, only=["sa_people", "sa_orders"])
    assert reflected.tables["sa_orders"].c.total.type.precision == 10
    assert reflected.tables["sa_orders"].c.total.comment == "in euros"


def frames():
    frame = pandas.DataFrame(
        {
            "day": pandas.date_range("2024-01-01", periods=5000, freq="h"),
            "value": [n / 4 for n in range(5000)],
            "name": [f"sensor {n % 3}" for n in range(5000)],
        }
    )
    frame.to_sql("sa_measured", engine, index=False, if_exists="replace", method="multi", chunksize=1000)
    back = pandas.read_sql("SELECT day, value, name FROM sa_measured ORDER BY day", engine)
    assert back["value"].sum() == frame["value"].sum() and (back["day"] == frame["day"]).all()
    daily = pandas.read_sql(
        sa.text("SELECT date_trunc('day', day) AS d, avg(value) AS v FROM sa_measured WHERE name = :n GROUP BY 1 ORDER BY 1"),
        engine,
        params={"n": "sensor 1"},
    )
    assert len(daily) == 209
    table = pandas.read_sql_table("sa_measured", engine)
    assert len(table) == 5000


Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)
orm()
core()
reflection()
frames()
Base.metadata.drop_all(engine)
print("SQLAlchemy and pandas: ORM, Core, reflection, data frames")
